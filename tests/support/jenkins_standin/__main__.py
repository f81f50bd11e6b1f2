"""`python -m jenkins_standin`: serve until killed; the first line on stdout is the address."""

import sys
import threading

from jenkins_standin.server import Standin

if __name__ == "__main__":
    with Standin(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0) as standin:
        print(standin.url, flush=True)
        threading.Event().wait()
