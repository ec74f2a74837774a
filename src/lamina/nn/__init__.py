"""Modules that own parameters: a state goes in and comes out."""
