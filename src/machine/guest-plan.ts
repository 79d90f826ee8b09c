/** How an image becomes a running guest: what differs between a PC and a tender's machine. */

import { prepareAdapterSpace } from "../boot/adapter-space.ts";
import { type BootImage, discOf } from "../boot/bios/boot-media.ts";
import type { GraphicsMode } from "../boot/bios/vbe-modes.ts";
import { type BootMode, type BootPlan, planBoot } from "../boot/boot-plan.ts";
import type { ByteSource } from "../boot/byte-source.ts";
import { loadImage } from "../boot/direct-boot.ts";
import { identify } from "../boot/image.ts";
import { isIso9660 } from "../boot/iso9660.ts";
import {
  encodeCommandLine,
  HVT_BOOT,
  UKVM_BOOT,
  writeHvtBootInfo,
  writeUkvmBootInfo,
} from "../boot/solo5/boot-info.ts";
import { assignDevices, inManifestOrder } from "../boot/solo5/devices.ts";
import type { ExecutableLayout } from "../boot/solo5/executable.ts";
import { longModeEntryState, writeLongModeTables } from "../boot/solo5/long-mode.ts";
import { attach, type Manifest } from "../boot/solo5/manifest.ts";
import {
  loadTenderImage,
  manifestOf,
  readTenderImage,
  type TenderImage,
} from "../boot/solo5/tender-image.ts";
import type { Cpu, Registers } from "../core/cpu.ts";
import { HostError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { MIB } from "../core/units.ts";
import { checkBlockSize, DEFAULT_BLOCK_SIZE } from "../devices/hvt/block-port.ts";
import { RING_BYTES } from "../devices/hvt/net-ring.ts";
import { type BlockDevice, MAX_VIRTIO_DEVICES, type NetDevice } from "./board.ts";
import type { TenderInterface } from "./hvt-board.ts";
import type { ImageMedia } from "./ide.ts";
import { MAX_MEMORY_MIB, MAX_PC_MEMORY_MIB } from "./memory.ts";

/** The guest's devices, in the order in which the machine has them. */
export interface Devices {
  readonly nets: readonly NetDevice[];
  readonly blocks: readonly BlockDevice[];
  readonly virtioConsole?: unknown;
  readonly entropy?: unknown;
}

export interface GuestPlan {
  /** What the image says it wants, if it has a manifest. */
  readonly manifest: Manifest | undefined;
  /** What the image is to a guest's own drivers. To be asked for when it is loaded. */
  readonly media: ImageMedia;
  /** The mode that the display is to be in at the start. To be asked for when it is loaded. */
  readonly graphics?: GraphicsMode | undefined;
  /** MiB of RAM to be allocated. */
  readonly memoryMib: number;
  /** Whether the guest resets its machine to end: see `MachineOptions`. */
  readonly endsAtReset: boolean;
  /**
   * Whether it is started as operating systems are: by Linux's protocols, as a PVH guest, or by a
   * PC's BIOS. To be asked for when it is loaded.
   */
  readonly operatingSystem: boolean;
  /**
   * Puts the image into fresh memory.
   * @returns what the user should know, in one line, if it is not what was asked for
   * @throws GuestError `image`
   */
  load(memory: GuestMemory): string | undefined;
  /**
   * Brings devices into the order in which the guest expects them.
   * @throws HostError when they are not what it wants
   */
  arrange<Given extends Devices>(given: Given): Given & { readonly tender?: TenderInterface };
  /** What finishes memory, and loads it anew after a reset; or what the BIOS boots from. */
  start(memory: GuestMemory, cpu: Cpu, devices: Devices): (() => Registers) | BootImage;
}

export interface GuestRequest {
  readonly source: ByteSource;
  /** As the user asked for. */
  readonly memoryMib: number;
  readonly bootMode: BootMode;
  readonly commandLine: readonly string[];
  /** The first files of a Linux kernel. */
  readonly initrd?: ByteSource | undefined;
  /** Whether there is to be a display. */
  readonly display?: boolean | undefined;
}

/** @throws GuestError `image` when nothing can be done with it, HostError for a bad size */
export function planGuest(request: GuestRequest): GuestPlan {
  const { source, bootMode, memoryMib, commandLine } = request;
  if (bootMode !== "bios" && identify(source).kind === "tender") {
    if (request.display) throw new HostError("a unikernel for a tender of Solo5's has no display");
    return new TenderPlan(readTenderImage(source), memoryMib, commandLine.join(" "));
  }
  if (memoryMib > MAX_PC_MEMORY_MIB) {
    throw new HostError(`a PC guest has at most ${MAX_PC_MEMORY_MIB} MiB of memory`, {
      remedy: "give it less with --mem",
    });
  }
  return new PcPlan(request);
}

const MISSES_DISPLAY = "the kernel asks for a graphics mode: --screen gives it a display";

const SYSTEM_KINDS: ReadonlySet<string> = new Set(["linux", "linux-elf", "pvh"]);

class PcPlan implements GuestPlan {
  readonly memoryMib: number;
  readonly endsAtReset: boolean;
  readonly manifest: Manifest | undefined;
  readonly #request: GuestRequest;
  #plan: BootPlan | undefined;

  constructor(request: GuestRequest) {
    this.memoryMib = request.memoryMib;
    this.manifest = manifestOf(request.source);
    // Firecracker, which starts kernels this way, has no other way to end.
    this.endsAtReset = identify(request.source).kind === "linux-elf";
    this.#request = request;
  }

  get media(): ImageMedia {
    const { source } = this.#request;
    const image = this.#plan?.kind === "bios" ? this.#plan.image : undefined;
    return {
      disk: image?.kind === "disk" ? image.disk : undefined,
      floppy: image?.kind === "floppy" ? image.disk : undefined,
      cd: isIso9660(source) ? discOf(source) : undefined,
      isKernel: this.manifest === undefined && identify(source).kind === "multiboot",
    };
  }

  get graphics(): GraphicsMode | undefined {
    return this.#plan?.kind === "direct" ? this.#plan.loaded.graphics : undefined;
  }

  get operatingSystem(): boolean {
    return this.#plan?.kind === "bios" || SYSTEM_KINDS.has(identify(this.#request.source).kind);
  }

  load(memory: GuestMemory): string | undefined {
    const { bootMode } = this.#request;
    prepareAdapterSpace(memory);
    const plan = planBoot({ ...this.#request, memory }, bootMode);
    this.#plan = plan;
    if (this.graphics !== undefined && memory.videoMemory === undefined) return MISSES_DISPLAY;
    if (plan.kind === "direct" || plan.reason === undefined) return undefined;
    return `${plan.reason}: it is started as a PC would start it`;
  }

  arrange<Given extends Devices>(given: Given): Given {
    const others = [given.virtioConsole === true, given.entropy !== undefined].filter((one) => one);
    if (given.nets.length + given.blocks.length + others.length > MAX_VIRTIO_DEVICES) {
      throw new HostError(`this machine has room for ${MAX_VIRTIO_DEVICES} virtio devices`);
    }
    return {
      ...given,
      nets: inManifestOrder(this.manifest, "net", given.nets),
      blocks: inManifestOrder(this.manifest, "block", given.blocks),
    };
  }

  start(memory: GuestMemory): (() => Registers) | BootImage {
    const plan = this.#plan;
    if (plan?.kind === "bios") return plan.image;
    // The image is in memory for the first start already.
    let loaded = plan?.loaded;
    return () => {
      const { registers, complete } = loaded ?? loadImage({ ...this.#request, memory });
      loaded = undefined;
      complete?.();
      return registers;
    };
  }
}

/** Large pages map all of memory, and so it has a whole number of them. */
const GRANULE_MIB = 2;
/** The network ring takes pages of its own, above what the guest is told to have. */
const RING_MIB = GRANULE_MIB * Math.ceil(RING_BYTES / (GRANULE_MIB * MIB));

class TenderPlan implements GuestPlan {
  readonly media: ImageMedia = {};
  readonly endsAtReset = false;
  readonly operatingSystem = false;
  readonly manifest: Manifest | undefined;
  readonly memoryMib: number;
  readonly #notice: string | undefined;
  readonly #image: TenderImage;
  readonly #commandLine: string;
  /** Bytes that the guest may use. */
  readonly #usable: number;
  readonly #hasRing: boolean;
  #layout: ExecutableLayout | undefined;

  constructor(image: TenderImage, memoryMib: number, commandLine: string) {
    encodeCommandLine(commandLine);
    this.manifest = image.manifest;
    this.#image = image;
    this.#commandLine = commandLine;
    this.#hasRing = image.manifest?.devices.some(({ kind }) => kind === "net") ?? false;
    const ring = this.#hasRing ? RING_MIB : 0;
    const wanted = GRANULE_MIB * Math.max(1, Math.floor(memoryMib / GRANULE_MIB));
    const usable = Math.min(wanted, MAX_MEMORY_MIB - ring);
    if (usable !== memoryMib) this.#notice = `adjusting memory to ${usable} MiB`;
    this.#usable = usable * MIB;
    this.memoryMib = usable + ring;
  }

  load(memory: GuestMemory): string | undefined {
    this.#layout = loadTenderImage(this.#image, memory, this.#usable);
    return this.#notice;
  }

  arrange<Given extends Devices>(given: Given): Given & { readonly tender: TenderInterface } {
    if (given.virtioConsole === true || given.entropy !== undefined) {
      throw new HostError("a unikernel for a tender of Solo5's has no virtio devices");
    }
    for (const { name, blockSize, backend } of given.blocks) {
      if (blockSize !== undefined) checkBlockSize(name ?? "disk", blockSize, backend.capacity);
    }
    if (this.manifest === undefined) {
      if (given.nets.length > 1 || given.blocks.length > 1) {
        throw new HostError("a ukvm unikernel has at most one network device and one disk");
      }
      return { ...given, tender: { abi: "ukvm" } };
    }
    return {
      ...given,
      tender: {
        abi: "hvt",
        netHandles: assignDevices(this.manifest, "net", given.nets),
        blockHandles: assignDevices(this.manifest, "block", given.blocks),
        netRing: this.#hasRing ? this.#usable : undefined,
      },
    };
  }

  start(memory: GuestMemory, cpu: Cpu, devices: Devices): () => Registers {
    return () => this.#boot(memory, cpu, devices);
  }

  #boot(memory: GuestMemory, cpu: Cpu, devices: Devices): Registers {
    const { entry, end } = this.#layout ?? loadTenderImage(this.#image, memory, this.#usable);
    const info = {
      memorySize: this.#usable,
      kernelEnd: end,
      tscFrequency: cpu.tscKhz * 1000,
      commandLine: this.#commandLine,
    };
    const manifest = this.#attached(devices);
    if (manifest === undefined) writeUkvmBootInfo(memory, info);
    else {
      const netRing = this.#hasRing ? this.#usable : undefined;
      writeHvtBootInfo(memory, { ...info, manifest, netRing });
    }
    const { base, lowMemory } = manifest === undefined ? UKVM_BOOT : HVT_BOOT;
    writeLongModeTables(memory, lowMemory);
    return longModeEntryState(entry, base, this.#usable, lowMemory);
  }

  #attached({ nets, blocks }: Devices): Uint8Array | undefined {
    const { manifest } = this;
    if (manifest === undefined) return undefined;
    const netHandles = assignDevices(manifest, "net", nets);
    const blockHandles = assignDevices(manifest, "block", blocks);
    return attach(
      manifest,
      new Map(
        blocks.map(({ backend, blockSize = DEFAULT_BLOCK_SIZE }, i) => [
          blockHandles[i] ?? 0,
          { capacity: backend.capacity, blockSize },
        ]),
      ),
      new Map(nets.map(({ backend, mac }, i) => [netHandles[i] ?? 0, { mac, mtu: backend.mtu }])),
    );
  }
}
