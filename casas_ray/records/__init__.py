"""What a run leaves on disk: its ledger, what it was asked to do, and whose turn it is."""
