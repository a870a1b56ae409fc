"""Sending commands to a cluster, which runs them as jobs of Ray's."""
