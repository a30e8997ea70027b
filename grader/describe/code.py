"""``python -m grader.describe.code [USER]``: the describing child, for jobs that will need TensorFlow."""

from grader.describe.__main__ import main

if __name__ == "__main__":
    main(of_code=True)
