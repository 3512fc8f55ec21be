"""The pack engine: thousands of coupled cells, batched in Warp kernels."""
