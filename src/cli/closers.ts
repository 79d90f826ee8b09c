/** What has to be closed in the end, in the reverse order of its opening. */
export class Closers {
  readonly #closers: (() => void)[] = [];

  /** Returns `resource`. */
  opened<Resource extends { close(): void }>(resource: Resource): Resource {
    this.add(() => resource.close());
    return resource;
  }

  add(close: () => void): void {
    this.#closers.push(close);
  }

  /** Closes everything, even when something of it fails; then throws the first error. */
  close(): void {
    const errors: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        close();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
