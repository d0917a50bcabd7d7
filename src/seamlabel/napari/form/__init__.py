"""The form: what is asked for, section by section."""
