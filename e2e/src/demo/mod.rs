//! A mesh of processes on loopback, and the tour that checks what it promises. In flow order:
