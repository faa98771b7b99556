"""Support for the course: plots, interactive explorers, exercises, labs, and the installation check."""
