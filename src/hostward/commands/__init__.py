"""One function per thing that an operator can do: authorise, decide, write, audit."""
