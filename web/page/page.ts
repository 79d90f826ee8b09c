/** The page: a form that says what to run, and the guest's terminal. */

import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import type { BootMode } from "../../src/boot/boot-plan.ts";
import type { Picture } from "../../src/core/picture.ts";
import type { Guest, ToPage, ToWorker } from "../messages.ts";
import "./page.css";

/** Room for a PC's text screen, and for lines of logs. */
const COLUMNS = 100;
const ROWS = 30;

function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

const form = element("form", HTMLFormElement);
const example = element("example", HTMLSelectElement);
const own = element("own", HTMLLabelElement);
const image = element("image", HTMLInputElement);
const initrd = element("initrd", HTMLInputElement);
const disks = element("disks", HTMLInputElement);
const memory = element("memory", HTMLInputElement);
const boot = element("boot", HTMLSelectElement);
const guestArguments = element("arguments", HTMLInputElement);
const startButton = element("start", HTMLButtonElement);
const pingButton = element("ping", HTMLButtonElement);
const stopButton = element("stop", HTMLButtonElement);
const state = element("state", HTMLOutputElement);
const display = element("display", HTMLCanvasElement);
const statistics = element("statistics", HTMLPreElement);

const terminal = new Terminal({ cols: COLUMNS, rows: ROWS, convertEol: true, scrollback: 5000 });
terminal.open(element("terminal", HTMLDivElement));
const encoder = new TextEncoder();
terminal.onData((text) => tell({ kind: "input", bytes: encoder.encode(text) }));
// Of keys that have no text, such as those of mice.
terminal.onBinary((text) =>
  tell({ kind: "input", bytes: Uint8Array.from(text, (character) => character.charCodeAt(0)) }),
);

let worker: Worker | undefined;

function tell(message: ToWorker): void {
  worker?.postMessage(message);
}

/** What an example is to be started with, unless something else is said. */
const exampleArguments = (): string => example.selectedOptions[0]?.dataset.arguments ?? "";

/** MiB. @throws Error when it is not a size that a PC has */
function chosenMemory(): number {
  const { valueAsNumber, min, max, validity } = memory;
  if (!validity.valid || Number.isNaN(valueAsNumber)) {
    throw new Error(`memory is ${min} to ${max} MiB`);
  }
  return valueAsNumber;
}

/** @throws Error when the image cannot be had */
async function chosenImage(): Promise<Blob> {
  if (example.value === "") {
    const [file] = image.files ?? [];
    if (file === undefined) throw new Error("choose an image first");
    return file;
  }
  const response = await fetch(`images/${example.value}`);
  if (!response.ok) throw new Error(`cannot load ${example.value} (${response.status})`);
  return await response.blob();
}

/** @throws Error when the form is not as it has to be */
async function chosenGuest(): Promise<Guest> {
  return {
    image: await chosenImage(),
    initrd: initrd.files?.[0],
    disks: [...(disks.files ?? [])],
    memoryMib: chosenMemory(),
    bootMode: boot.value as BootMode,
    guestArguments: (guestArguments.value || exampleArguments())
      .split(" ")
      .filter((word) => word !== ""),
  };
}

function show(running: boolean, text: string): void {
  startButton.disabled = running;
  pingButton.disabled = !running;
  stopButton.disabled = !running;
  state.value = text;
}

async function start(): Promise<void> {
  show(true, "starting");
  statistics.hidden = true;
  display.hidden = true;
  terminal.reset();
  try {
    const guest = await chosenGuest();
    worker = new Worker("worker.js", { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<ToPage>) => hear(data);
    worker.onerror = ({ message }) => end(`the worker failed: ${message}`);
    tell({ kind: "start", guest });
    show(true, "running");
    terminal.focus();
  } catch (error) {
    show(false, error instanceof Error ? error.message : String(error));
  }
}

function hear(message: ToPage): void {
  switch (message.kind) {
    case "output":
      terminal.write(message.bytes, () => tell({ kind: "shown", count: message.bytes.length }));
      break;
    case "picture":
      paint(message.picture);
      tell({ kind: "painted" });
      break;
    case "notice":
      terminal.writeln(`\x1b[2m${message.line}\x1b[m`);
      break;
    case "ended":
      statistics.textContent = message.statistics.join("\n");
      statistics.hidden = message.statistics.length === 0;
      end(`ended: ${message.how}`);
      break;
  }
}

function paint(picture: Picture | undefined): void {
  display.hidden = picture === undefined;
  if (picture === undefined) return;
  const { width, height, pixels } = picture;
  if (display.width !== width || display.height !== height) {
    display.width = width;
    display.height = height;
  }
  const image = new ImageData(width, height);
  image.data.fill(0xff);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    for (let part = 0; part < 3; part++) image.data[to + part] = pixels[from + part] as number;
  }
  display.getContext("2d")?.putImageData(image, 0, 0);
}

function end(how: string): void {
  worker?.terminate();
  worker = undefined;
  show(false, how);
}

example.onchange = () => {
  own.hidden = example.value !== "";
  guestArguments.placeholder = exampleArguments();
};
form.onsubmit = (event) => {
  event.preventDefault();
  void start();
};
display.onclick = () => {
  terminal.focus();
  if (document.pointerLockElement !== display) display.requestPointerLock();
};
for (const event of ["mousemove", "mousedown", "mouseup"] as const) {
  display.addEventListener(event, ({ movementX, movementY, buttons }) => {
    if (document.pointerLockElement !== display) return;
    const [x, y] = event === "mousemove" ? [movementX, -movementY] : [0, 0];
    tell({ kind: "mouse", x, y, buttons });
  });
}
pingButton.onclick = () => {
  tell({ kind: "ping" });
  terminal.focus();
};
stopButton.onclick = () => tell({ kind: "stop" });
document.body.ondragover = (event) => event.preventDefault();
document.body.ondrop = (event) => {
  event.preventDefault();
  const files = event.dataTransfer?.files;
  if (files === undefined || files.length === 0) return;
  image.files = files;
  example.value = "";
  example.dispatchEvent(new Event("change"));
};
