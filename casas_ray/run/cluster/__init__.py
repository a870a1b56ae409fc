"""Sending commands to a cluster."""
