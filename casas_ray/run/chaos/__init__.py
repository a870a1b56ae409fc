"""Faults at random in a run of the user's own study, and a certificate of what they did to it."""
