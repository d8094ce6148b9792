"""Everything that imports a third-party client of a target; found through entry points `cdc.connectors`."""
