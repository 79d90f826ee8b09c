import type { AcpiDescription } from "../boot/acpi/tables.ts";
import { APIC_BASE_AT_RESET, apicAddress } from "../core/apic-base.ts";
import { ataGeometry } from "../core/ata-geometry.ts";
import type { BlockBackend, ConsoleBackend, EntropySource, NetBackend } from "../core/backends.ts";
import { Bus } from "../core/bus.ts";
import type { Clock } from "../core/clock.ts";
import type { Resettable } from "../core/device.ts";
import type { GuestError, HostError } from "../core/errors.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import { type IrqLine, SharedIrqLine } from "../core/irq-line.ts";
import type { Picture } from "../core/picture.ts";
import { type Irq, irq } from "../core/units.ts";
import { DebugExit, exitStatus, qemuStatus } from "../devices/debug/debug-exit.ts";
import { TestDevice } from "../devices/debug/test-device.ts";
import { DmaChannel } from "../devices/dma/dma-channel.ts";
import { Dma8237 } from "../devices/dma/dma8237.ts";
import { pageRegisters } from "../devices/dma/page-registers.ts";
import { FwCfg } from "../devices/firmware/fw-cfg.ts";
import { IoApic } from "../devices/irq/ioapic.ts";
import { LocalApic } from "../devices/irq/lapic.ts";
import { decodeMessage } from "../devices/irq/msi.ts";
import { PicPair } from "../devices/irq/pic8259.ts";
import { AtKeyboard } from "../devices/keyboard/at-keyboard.ts";
import { I8042 } from "../devices/keyboard/i8042.ts";
import { acpiBridge } from "../devices/pci/acpi-bridge.ts";
import { assignResources } from "../devices/pci/firmware.ts";
import { hostBridge } from "../devices/pci/host-bridge.ts";
import { isaBridge } from "../devices/pci/isa-bridge.ts";
import { PciBus, type PciFunction } from "../devices/pci/pci-bus.ts";
import { AcpiPm, S5_SLEEP_TYPE } from "../devices/power/acpi-pm.ts";
import { ResetControl } from "../devices/power/reset-control.ts";
import { SystemControl } from "../devices/power/system-control.ts";
import { Mc146818 } from "../devices/rtc/mc146818.ts";
import { Uart16550 } from "../devices/serial/uart16550.ts";
import { Pit8254 } from "../devices/timer/pit8254.ts";
import { DispiAdapter } from "../devices/video/dispi.ts";
import { TextScreen } from "../devices/video/text-screen.ts";
import { VgaText } from "../devices/video/vga-text.ts";
import { VirtioBlock } from "../devices/virtio/block.ts";
import { VirtioConsole } from "../devices/virtio/console.ts";
import { VirtioEntropy } from "../devices/virtio/entropy.ts";
import { VirtioNet } from "../devices/virtio/net.ts";
import type { VirtioDevice } from "../devices/virtio/virtio-device.ts";
import { VirtioPci } from "../devices/virtio/virtio-pci.ts";
import type { Decorations } from "./decorations.ts";
import { floppyController, floppyDrive } from "./floppy.ts";
import { type ImageMedia, ide, ideDisks } from "./ide.ts";
import { InterruptRouter } from "./interrupt-router.ts";
import type { MachineBoard } from "./machine-board.ts";
import type { Outcome } from "./outcome.ts";
import { SharedConsole } from "./shared-console.ts";

/** The ports of the small PC: an IBM AT's, and for PCI and power those of QEMU's i440FX. */
const PORT = {
  DMA_PRIMARY: 0x00,
  PIC_PRIMARY: 0x20,
  PIT: 0x40,
  KEYBOARD_DATA: 0x60,
  SYSTEM_CONTROL_B: 0x61,
  KEYBOARD_COMMAND: 0x64,
  RTC: 0x70,
  DMA_PAGES: 0x80,
  SYSTEM_CONTROL_A: 0x92,
  PIC_SECONDARY: 0xa0,
  DMA_SECONDARY: 0xc0,
  /** Bochs's. */
  DISPLAY: 0x1ce,
  VGA: 0x3c0,
  COM1: 0x3f8,
  /** QEMU's pc-testdev, and the debug exit that goes with it. */
  TEST_LATCH: 0xe0,
  TEST_EXIT: 0xf4,
  PIC_EDGE_LEVEL: 0x4d0,
  /** Where Solo5 expects it. */
  DEBUG_EXIT: 0x501,
  FW_CFG: 0x510,
  ACPI_PM: 0x600,
  PCI_CONFIG: 0xcf8,
  TEST_LINES: 0x2000,
  /** The first that the firmware gives to PCI functions. */
  PCI_IO: 0xc000,
} as const;

const IOAPIC_ADDRESS = 0xfec0_0000;
/** The first address that the firmware gives to PCI functions; the I/O APIC is behind their room. */
const PCI_MEMORY_ADDRESS = 0xfe00_0000;
const TEST_MEMORY_ADDRESS = 0xff00_0000;
/** Inputs of the I/O APIC, of which the 8259 pair has the lower 16 too. */
const GLOBAL_INTERRUPTS = 24;
const ISA_LINES = 16;
/** The 8259 pair has no such input, the I/O APIC does. */
const CASCADE = 2;
/**
 * The I/O APIC's pins: that of the same number for an ISA line, but the 8259's output has pin 0,
 * so that the timer is at pin 2, which nothing else has for it is the cascade's (Intel
 * MultiProcessor Specification 1.4 §3.6.2.2, figure 3-4; ACPI 6.5 §5.2.12.5).
 */
const IOAPIC_PIN = { PIC: 0, PIT: 2 } as const;

/** PCI's INTx pins all come out on one line: the 2015 unikernel wants its two devices there. */
const IRQ = {
  PIT: irq(0),
  KEYBOARD: irq(1),
  COM1: irq(4),
  FLOPPY: irq(6),
  RTC: irq(8),
  ACPI: irq(9),
  PCI: irq(11),
  MOUSE: irq(12),
} as const;

/** Its channel, and where that one's page register is behind port 0x80. */
const FLOPPY_DMA = { CHANNEL: 2, PAGE: 1 } as const;

const ISA_BRIDGE_SLOT = 1;
const IDE_FUNCTION = 1;
const ACPI_FUNCTION = 3;
const FIRST_VIRTIO_SLOT = 2;
/** Slots 2 to 31. */
export const MAX_VIRTIO_DEVICES = 30;

export interface NetDevice {
  /** What the user calls it; the manifest's name, where there is a manifest. */
  readonly name?: string | undefined;
  readonly backend: NetBackend;
  /** Six bytes. */
  readonly mac: Uint8Array;
}

export interface BlockDevice {
  /** As {@link NetDevice.name}. */
  readonly name?: string | undefined;
  /** Bytes of a block, where the machine lets the user choose. */
  readonly blockSize?: number | undefined;
  readonly backend: BlockBackend;
  /** What the guest can ask for (VIRTIO_BLK_T_GET_ID); at most 20 bytes of it. */
  readonly id: string;
}

export interface BoardOptions {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly console: ConsoleBackend;
  readonly nets: readonly NetDevice[];
  readonly blocks: readonly BlockDevice[];
  /** What the image is a disk or CD of; there is a disk interface with it then. */
  readonly media?: ImageMedia | undefined;
  /** Whether there is a virtio console beside the serial port, on the same console. */
  readonly virtioConsole?: boolean;
  /** With it there is a virtio entropy device. */
  readonly entropy?: EntropySource | undefined;
  /** Watch the interrupt lines and the virtio devices. */
  readonly decorations?: Decorations | undefined;
  /** A driver or the host failed a device: one line for the user. The guest goes on. */
  readonly report: (error: GuestError | HostError) => void;
  readonly onEnd: (outcome: Outcome) => void;
  readonly onReset: () => void;
  /** The guest has set a graphics mode of the display's. */
  readonly onMode: (width: number, height: number, depth: number) => void;
  /** A line to the interrupt controller went up, maybe outside a guest slice. */
  readonly onInterrupt: () => void;
}

/**
 * The small PC without its processor: which devices there are, and where. Firmware has been over
 * it: PCI functions have their ports, and the interrupt controllers a BIOS's setting.
 */
export class Board implements MachineBoard {
  readonly holdsGuest = false;
  readonly ports = new Bus("port");
  /** Where there is no RAM. */
  readonly mmio = new Bus("memory");
  readonly interrupts: InterruptRouter;
  readonly moveMouse: I8042["moveMouse"];
  readonly nets: readonly VirtioNet[];
  readonly blocks: readonly VirtioBlock[];
  readonly screen: TextScreen;
  /** If there is video memory. */
  readonly #display: DispiAdapter | undefined;
  readonly #options: BoardOptions;
  readonly #pic: PicPair;
  readonly #lapic: LocalApic;
  readonly #ioapic: IoApic;
  readonly #pci: PciBus;
  readonly #devices: readonly Resettable[];

  constructor(options: BoardOptions) {
    this.#options = options;
    const { clock, memory, onEnd, onReset } = options;
    const { serial, virtio } = this.#consoles();
    this.#lapic = new LocalApic({
      clock,
      onNmi: () => this.interrupts.raiseNmi(),
      onEndOfInterrupt: (vector) => this.#ioapic.endOfInterrupt(vector),
    });
    this.#ioapic = new IoApic((message) => this.#lapic.deliver(message));
    const intr = [this.#lapic.lint0, this.#ioapic.pin(IOAPIC_PIN.PIC)] as const;
    this.#pic = new PicPair({
      set: (level) => {
        for (const wire of intr) wire.set(level);
      },
    });
    const typist = new AtKeyboard();
    const keyboard = new I8042({
      ...{ onReset, keyboard: typist },
      irq: this.#wire(IRQ.KEYBOARD),
      mouseIrq: this.#wire(IRQ.MOUSE),
    });
    this.moveMouse = (...movement) => keyboard.moveMouse(...movement);
    let speaks = false;
    const uart: Uart16550 = new Uart16550({
      irq: this.#wire(IRQ.COM1),
      console: {
        transmit: (byte) => {
          speaks = true;
          this.screen.serialWrites(byte);
          serial.transmit(byte);
        },
        connect: (receive) =>
          serial.connect((bytes) => {
            // A guest with a driver for the keyboard and none for the line listens there; so does one that
            // shows text and has never said anything by the line: Linux 0.11 opens it all the same.
            const byLine = uart.listening && (speaks || !this.screen.hasText);
            if (keyboard.used && !byLine) typist.type(bytes);
            else receive(bytes);
          }),
        flush: () => serial.flush(),
        close: () => serial.close(),
      },
    });
    const vga = new VgaText({ clock });
    const serialListens = (): boolean => uart.listening;
    this.screen = new TextScreen({
      ...{ memory, vga, clock, console: options.console },
      serialListens,
    });
    const { videoMemory } = memory;
    this.#display = videoMemory && new DispiAdapter({ ...options, videoMemory, vga });
    const pit = new Pit8254({
      clock,
      irq: this.#wire(IRQ.PIT),
      unheard: () => this.#pic.remembersEdge(IRQ.PIT) && this.#ioapic.isMasked(IOAPIC_PIN.PIT),
    });
    this.#pic.onTaken = () => pit.listen();
    this.#ioapic.onMasks = () => pit.listen();
    const drive = floppyDrive(options.media?.floppy);
    const blocks = options.blocks.map(({ backend }) => backend);
    const rtc = new Mc146818({
      ...{ clock, irq: this.#wire(IRQ.RTC), memoryBytes: memory.size },
      floppyType: drive?.type,
      hardDisks: ideDisks(options.media ?? {}, blocks).map(({ capacity }) => ataGeometry(capacity)),
    });
    const systemControl = new SystemControl({ onReset });
    const resetControl = new ResetControl({ onReset });
    const acpi = new AcpiPm({
      clock,
      irq: this.#wire(IRQ.ACPI),
      onPowerOff: () => onEnd({ kind: "power-off" }),
    });
    const onExit = (status: number): void => onEnd({ kind: "exit", status });
    const debugExit = new DebugExit({ onExit, statusOf: exitStatus });
    const testExit = new DebugExit({ onExit, statusOf: qemuStatus });
    const test = new TestDevice(
      Array.from({ length: GLOBAL_INTERRUPTS }, (_, line) => this.#testLine(line)),
    );
    const fwCfg = new FwCfg({ memoryBytes: memory.size });
    this.#pci = new PciBus(resetControl);
    const dma = [new Dma8237(1), new Dma8237(2)] as const;
    const pages = pageRegisters();

    const floppy =
      drive &&
      floppyController(drive, {
        ...{ ports: this.ports, clock, irq: this.#wire(IRQ.FLOPPY) },
        dma: new DmaChannel({
          ...{ memory, controller: dma[0], channel: FLOPPY_DMA.CHANNEL },
          page: () => pages.read(FLOPPY_DMA.PAGE, 1),
        }),
      });

    this.ports.claim(PORT.DMA_PRIMARY, dma[0].length, dma[0]);
    this.ports.claim(PORT.DMA_SECONDARY, dma[1].length, dma[1]);
    this.ports.claim(PORT.DMA_PAGES, pages.length, pages);
    this.ports.claim(PORT.PIC_PRIMARY, 2, this.#pic.primary);
    this.ports.claim(PORT.PIT, 4, pit.counters);
    this.ports.claim(PORT.KEYBOARD_DATA, 1, keyboard.data);
    this.ports.claim(PORT.SYSTEM_CONTROL_B, 1, pit.port61);
    this.ports.claim(PORT.KEYBOARD_COMMAND, 1, keyboard.command);
    this.ports.claim(PORT.RTC, 2, rtc);
    this.ports.claim(PORT.SYSTEM_CONTROL_A, 1, systemControl);
    this.ports.claim(PORT.PIC_SECONDARY, 2, this.#pic.secondary);
    this.ports.claim(PORT.VGA, vga.length, vga);
    if (this.#display) this.ports.claim(PORT.DISPLAY, this.#display.length, this.#display);
    this.ports.claim(PORT.COM1, 8, uart);
    this.ports.claim(PORT.TEST_LATCH, test.latch.length, test.latch);
    this.ports.claim(PORT.TEST_EXIT, testExit.length, testExit);
    this.ports.claim(PORT.PIC_EDGE_LEVEL, 2, this.#pic.edgeLevel);
    this.mmio.claim(IOAPIC_ADDRESS, this.#ioapic.length, this.#ioapic);
    this.interrupts = new InterruptRouter({
      pic: this.#pic,
      lapic: this.#lapic,
      ioapic: this.#ioapic,
      mmio: this.mmio,
    });
    this.ports.claim(PORT.DEBUG_EXIT, debugExit.length, debugExit);
    this.ports.claim(PORT.FW_CFG, fwCfg.length, fwCfg);
    this.ports.claim(PORT.ACPI_PM, acpi.length, acpi);
    this.ports.claim(PORT.PCI_CONFIG, 8, this.#pci);
    this.ports.claim(PORT.TEST_LINES, test.lines.length, test.lines);
    this.mmio.claim(TEST_MEMORY_ADDRESS, test.memory.length, test.memory);

    this.nets = options.nets.map((net) => new VirtioNet(net));
    this.blocks = options.blocks.map((block) => new VirtioBlock(block));
    const entropy = options.entropy && new VirtioEntropy(options.entropy);
    const others = [virtio, entropy].filter((device) => device !== undefined);
    this.#plugPci([...this.nets, ...this.blocks, ...others]);
    this.#devices = [
      this.#pic,
      this.#lapic,
      this.#ioapic,
      this.interrupts,
      uart,
      pit,
      rtc,
      typist,
      keyboard,
      vga,
      this.screen,
      systemControl,
      resetControl,
      acpi,
      fwCfg,
      ...dma,
      ...[this.#display, floppy].filter((device) => device !== undefined),
      pages,
      this.#pci,
    ];
    this.#initialise();
  }

  /** Where things are, for the tables that tell operating systems. */
  get acpi(): AcpiDescription {
    return {
      memorySize: this.#options.memory.size,
      localApic: apicAddress(APIC_BASE_AT_RESET),
      ioApic: IOAPIC_ADDRESS,
      timerPin: IOAPIC_PIN.PIT,
      powerManagement: PORT.ACPI_PM,
      sciIrq: IRQ.ACPI,
      pciIrq: IRQ.PCI,
      sleepTypeS5: S5_SLEEP_TYPE,
      resetPort: PORT.PCI_CONFIG + 1,
    };
  }

  describeInterrupts(): readonly string[] {
    return [this.#pic, this.#lapic, this.#ioapic].flatMap((controller) => controller.describe());
  }

  describeDevices(): readonly string[] {
    return this.#pci.describe();
  }

  picture(): Picture | undefined {
    return this.#display?.picture();
  }

  show(): void {
    this.screen.poll();
  }

  finish(): void {
    this.screen.finish();
  }

  /** Every device back to power-on, then what firmware does. */
  reset(): void {
    for (const device of this.#devices) device.reset();
    this.#initialise();
  }

  #initialise(): void {
    this.#pic.setFirmwareState();
    this.#lapic.setFirmwareState();
    // A level-triggered line may be shared (PCI Local Bus 3.0 §2.2.6).
    this.#pic.edgeLevel.write(IRQ.PCI >> 3, 1, 1 << (IRQ.PCI & 7));
    assignResources(this.#pci, {
      ioBase: PORT.PCI_IO,
      memoryBase: PCI_MEMORY_ADDRESS,
      interruptLine: IRQ.PCI,
    });
  }

  /** The serial port's console, and the virtio console that shares it. */
  #consoles(): { serial: ConsoleBackend; virtio?: VirtioConsole } {
    const { console, virtioConsole } = this.#options;
    if (virtioConsole !== true) return { serial: console };
    const shared = new SharedConsole(console, () => virtio.inUse);
    const virtio = new VirtioConsole(shared.second);
    return { serial: shared.first, virtio };
  }

  #plugPci(devices: readonly VirtioDevice[]): void {
    const { clock, memory, report, decorations, media = {} } = this.#options;
    this.#pci.plug(0, hostBridge());
    this.#pci.plug(ISA_BRIDGE_SLOT, isaBridge(IRQ.PCI));
    const others = this.#options.blocks.map(({ backend }) => backend);
    const wiring = { clock, memory, ports: this.ports, wire: (line: Irq) => this.#wire(line) };
    const disks = ide(media, others, wiring);
    if (disks !== undefined) this.#pci.plug(ISA_BRIDGE_SLOT, disks, IDE_FUNCTION);
    this.#pci.plug(ISA_BRIDGE_SLOT, acpiBridge(PORT.ACPI_PM), ACPI_FUNCTION);
    const intx = new SharedIrqLine(this.#wire(IRQ.PCI));
    devices.forEach((device, i) => {
      const fn: PciFunction = new VirtioPci({
        device: decorations?.virtio(device, `virtio ${i}`) ?? device,
        memory,
        ports: this.ports,
        mmio: this.mmio,
        irq: intx.driver(),
        sendMessage: (address, data) => this.#deliverMessage(address, data),
        report,
      });
      this.#pci.plug(FIRST_VIRTIO_SLOT + i, fn);
    });
  }

  /** An input for the test device, which does as if it were alone at it. */
  #testLine(line: number): IrqLine {
    const alone = line >= ISA_LINES || line === CASCADE;
    return alone ? this.#ioapic.pin(line) : this.#wire(irq(line));
  }

  /** A message-signalled interrupt. What no local APIC takes is lost. */
  #deliverMessage(address: number, data: number): void {
    const message = decodeMessage(address, data);
    if (message === undefined || !this.#lapic.deliver(message)) return;
    this.#options.onInterrupt();
  }

  #wire(line: Irq): IrqLine {
    const pic = this.#pic.line(line);
    const ioapic = this.#ioapic.pin(line === IRQ.PIT ? IOAPIC_PIN.PIT : line);
    const wire: IrqLine = {
      set: (level) => {
        pic.set(level);
        ioapic.set(level);
        if (level) this.#options.onInterrupt();
      },
    };
    return this.#options.decorations?.line(line, wire) ?? wire;
  }
}
