/** The files of an ISO image to be written, as a tree in the order that the format asks for. */

import { assert } from "../core/errors.ts";
import { levelOneNames } from "./iso9660-names.ts";
import { encodeUtf8 } from "./text.ts";

export interface IsoFile {
  /** Absolute: `/boot/grub/menu.lst`. Directories come into being on the way. */
  readonly path: string;
  readonly data: Uint8Array;
}

/** `sector` and the like are 0 until the image is laid out. */
export interface FileNode {
  readonly name: string;
  readonly path: string;
  readonly data: Uint8Array;
  readonly links: 1;
  isoName: string;
  sector: number;
}

export interface DirectoryNode {
  readonly name: string;
  /** `undefined` for the root. */
  readonly parent: DirectoryNode | undefined;
  /** In the order of their ISO names. */
  readonly children: (DirectoryNode | FileNode)[];
  links: number;
  isoName: string;
  sector: number;
  size: number;
  continuationSector: number;
}

export interface Tree {
  /** By level, parent and name (ECMA-119 §6.9.1); the root first. */
  readonly directories: readonly DirectoryNode[];
  readonly files: readonly FileNode[];
}

/** ECMA-119 §6.8.2.1, the root included. */
const MAX_LEVELS = 8;

export const isDirectory = (node: DirectoryNode | FileNode): node is DirectoryNode =>
  "children" in node;

/** The identifier in records: the root's is a zero byte, and files have a version. */
export function identifierOf(node: DirectoryNode | FileNode): Uint8Array {
  if (!isDirectory(node)) return encodeUtf8(versioned(node.isoName));
  return node.parent === undefined ? Uint8Array.of(0) : encodeUtf8(node.isoName);
}

/** @throws Bug on an empty, repeated or too deep path, or one through a file */
export function buildTree(files: readonly IsoFile[]): Tree {
  const root = directoryNode("", undefined);
  for (const file of files) addFile(root, file);
  const directories = [root];
  for (const directory of directories) {
    sortChildren(directory);
    const below = directory.children.filter(isDirectory);
    directory.links = 2 + below.length;
    directories.push(...below);
  }
  const children = directories.flatMap((directory) => directory.children);
  return { directories, files: children.filter((child): child is FileNode => !isDirectory(child)) };
}

function addFile(root: DirectoryNode, { path, data }: IsoFile): void {
  const components = path.split("/").filter((component) => component !== "");
  const name = components.pop();
  assert(name !== undefined, "a file in an ISO has a name");
  assert(components.length < MAX_LEVELS, `${path} is too deep for an ISO`);
  let directory = root;
  for (const component of components) directory = subdirectory(directory, component);
  assert(childOf(directory, name) === undefined, `${path} is in the ISO twice`);
  directory.children.push({ name, path, data, links: 1, isoName: "", sector: 0 });
}

function subdirectory(parent: DirectoryNode, name: string): DirectoryNode {
  const known = childOf(parent, name);
  if (known !== undefined) {
    assert(isDirectory(known), `${name} is a file and a directory in the ISO`);
    return known;
  }
  const directory = directoryNode(name, parent);
  parent.children.push(directory);
  return directory;
}

const childOf = (directory: DirectoryNode, name: string): DirectoryNode | FileNode | undefined =>
  directory.children.find((child) => child.name === name);

function directoryNode(name: string, parent: DirectoryNode | undefined): DirectoryNode {
  const layout = { links: 2, isoName: "", sector: 0, size: 0, continuationSector: 0 };
  return { name, parent, children: [], ...layout };
}

/** Names are given in the order of the long ones, so that the caller's order does not matter. */
function sortChildren({ children }: DirectoryNode): void {
  children.sort((one, other) => compare(one.name, other.name));
  const isoNames = levelOneNames(
    children.map((child) => ({ name: child.name, directory: isDirectory(child) })),
  );
  for (const [index, child] of children.entries()) child.isoName = isoNames[index] ?? "";
  children.sort((one, other) => compare(sortKey(one.isoName), sortKey(other.isoName)));
}

/** §9.3: name and extension, each filled up with blanks. */
function sortKey(isoName: string): string {
  const [stem = "", extension = ""] = isoName.split(".");
  return stem.padEnd(8) + extension.padEnd(3);
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** §7.5.1: a file's identifier has both separators, also without an extension. */
const versioned = (isoName: string): string => `${isoName}${isoName.includes(".") ? "" : "."};1`;
