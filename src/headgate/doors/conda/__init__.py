"""What conda, mamba and pixi call: plain ASGI."""
