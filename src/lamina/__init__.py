"""Lamina learns from sequences with stacked recurrent networks and says, with evidence, which one to use."""
