"""gsrecon: dynamic Gaussian scenes from recorded drives.

Importing the package builds nothing, downloads nothing, prints nothing and needs no GPU.
"""

__version__ = "0.1.0"
