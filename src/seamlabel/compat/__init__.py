"""Other projects' interfaces: code that was written for them runs with its import changed."""
