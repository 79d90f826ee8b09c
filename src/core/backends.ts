/**
 * What devices are connected to on the host's side. Devices see these interfaces only; `net/` and
 * `host/` implement them.
 */

/** @param header as of {@link NetBackend.transmit} */
export type FrameReceiver = (frame: Uint8Array, header?: Uint8Array) => boolean;

/** The host's end of an Ethernet link. Frames are without FCS; a frame is valid during the call. */
export interface NetBackend {
  /** Largest IP packet the link carries, in bytes. */
  readonly mtu: number;
  /** What may be left undone on frames, either way: a set of {@link OFFLOAD}, none by itself. */
  readonly offloads?: number;
  /**
   * A frame from the guest.
   * @param header what is left to do on it ({@link OFFLOAD_HEADER_LENGTH}), if anything; also valid
   *   during the call
   */
  transmit(frame: Uint8Array, header?: Uint8Array): void;
  /**
   * Connects the guest's receiver. It returns false when the guest has no room: the backend then
   * keeps or drops the frame, and may wait for {@link resume} before it offers another.
   */
  connect(receive: FrameReceiver): void;
  /** What may be left to the guest from now on, of {@link offloads}: nothing at first. */
  setGuestOffloads?(offloads: number): void;
  /** The guest has room again. */
  resume(): void;
  /**
   * Hands over frames that have arrived, a bounded number of them, without waiting for the host's
   * event loop to tell.
   * @returns whether there were any
   */
  poll?(): boolean;
  close(): void;
}

/**
 * A disk. Synchronous on purpose: the guest waits for the result in most cases, the host's page
 * cache answers in microseconds, and completion order is then the order of requests.
 */
export interface BlockBackend {
  /** Bytes, a multiple of 512. */
  readonly capacity: number;
  readonly readOnly: boolean;
  /**
   * Fills `into` from byte `offset`. The range is inside {@link capacity}.
   * @throws HostError when the host fails
   */
  read(offset: number, into: Uint8Array): void;
  /** @throws HostError when the host fails */
  write(offset: number, from: Uint8Array): void;
  /** Returns when everything written is on stable storage. */
  flush(): void;
  close(): void;
}

/** The host's end of a serial line. */
export interface ConsoleBackend {
  /** Whether what is transmitted ends up on a terminal that follows ECMA-48. */
  readonly terminal?: boolean;
  /** One byte from the guest. */
  transmit(byte: number): void;
  /** Connects the receiver of bytes for the guest. It takes any number at any time. */
  connect(receive: (bytes: Uint8Array) => void): void;
  /**
   * Hands on to the host what `transmit` may have gathered.
   * @returns if the host does not keep up: when it has caught up, which the guest should wait for
   */
  flush(): Promise<void> | undefined;
  close(): void;
}

/** Where a guest's random numbers come from. */
export interface EntropySource {
  /** All of it, unpredictable unless made up on purpose. */
  fill(into: Uint8Array): void;
}
