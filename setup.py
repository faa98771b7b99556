"""What pyproject.toml cannot say: the course weights, which lie in data/checkpoints, belong to the installed
package."""

from setuptools import find_namespace_packages, setup

setup(packages=[*find_namespace_packages(include=["colorlab*"]), "colorlab.checkpoints"],
      package_dir={"colorlab.checkpoints": "data/checkpoints"},
      package_data={"colorlab.checkpoints": ["*.safetensors", "*.md"]})
