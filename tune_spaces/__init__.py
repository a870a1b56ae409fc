"""One file, one question, one STUDY; `bases` holds the named starting points."""
