"""How a warehouse keeps tables: names, modes, columns of ours. Pure; warehouses know nothing of it."""
