"""The packages of grader; everything else is in pyproject.toml.

The rubrics that ship lie beside the package in a checkout and inside it once installed, which
pyproject.toml could only say with a list of every package.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["grader", "grader.*"]), "grader.rubrics"],
    package_dir={"grader.rubrics": "rubrics"},
)
