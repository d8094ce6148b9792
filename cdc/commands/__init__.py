"""The commands of `cdc`, one file each: arguments and help, then what a person sees."""
