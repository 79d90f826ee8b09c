/** The system's name of the error in `cause` (`ENOENT`, …), if it is one of the system's. */
export function errnoOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !("code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}

/** The system call that failed, as Node and the addon name it. */
export function syscallOf(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !("syscall" in cause)) return undefined;
  return typeof cause.syscall === "string" ? cause.syscall : undefined;
}
