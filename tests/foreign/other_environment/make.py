"""Make an environment without packages in the current folder: `environment/bin/python`."""

import venv

venv.create("environment", with_pip=False)
