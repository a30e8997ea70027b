"""Which images of a data set an array holds, and how they were prepared."""
