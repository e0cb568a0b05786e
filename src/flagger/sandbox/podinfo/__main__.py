"""`python -m flagger.sandbox.podinfo --port=9898`."""

import os
import sys

from flagger.sandbox.podinfo.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
