"""A run from the dock: begun, told, paused, ended, gone on with."""
