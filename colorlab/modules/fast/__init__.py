"""Forms of a layer that give the same numbers with less memory or time. Beside each stands its plain
equation."""
