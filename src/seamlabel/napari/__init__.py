"""The napari plugin: dock widget, sample data, commands. The only part that needs Qt."""
