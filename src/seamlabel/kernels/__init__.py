"""Pure numpy kernels: seams, merge, relabelling, pyramid, statistics. No I/O, no threads."""
