"""`python -m mmcicd_jenkins` is the command line."""

from mmcicd_jenkins.cli import main

if __name__ == "__main__":
    main()
