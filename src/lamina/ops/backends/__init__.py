"""The ways of running a scan; each is tested against the reference."""
