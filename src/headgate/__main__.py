"""`python -m headgate` is `headgate`."""

from headgate.cli.main import app

if __name__ == "__main__":
    app(prog_name="headgate")
