"""The engine for GPUs: Keras's layers and optimizers on JAX, a whole epoch as one compiled program.

A network of the kind that is graded here is so small that a GPU spends its time waiting for the next command.
So the images lie on the device as bytes, an epoch is one program that draws its batches from them, programs
are kept on disk, and several seeds of a network can share one. `support` says what is not covered.
"""
