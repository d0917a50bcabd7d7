"""The dock that predicts a map, shows it while it grows, and makes objects of it."""
