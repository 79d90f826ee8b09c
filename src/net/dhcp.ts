/** The server's side of DHCP and of BOOTP (RFC 2131, RFC 2132, RFC 951), for one client. */

import { type Ipv4Address, netmask } from "./ipv4.ts";
import { MAC_LENGTH, type MacAddress } from "./mac.ts";

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Fixed fields (RFC 2131 §2), up to the options' magic. */
const FIXED_LENGTH = 236;
const MAGIC = 0x6382_5363;
const OPTIONS_AT = FIXED_LENGTH + 4;
/** Some clients want as much as BOOTP has. */
const REPLY_LENGTH = 300;
const HARDWARE_ETHERNET = 1;
const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const FLAG_BROADCAST = 0x8000;
const AT = { TRANSACTION: 4, FLAGS: 10, CIADDR: 12, YIADDR: 16, SIADDR: 20, CHADDR: 28 } as const;
const CHADDR_LENGTH = 16;

const OPTION = {
  PAD: 0,
  SUBNET_MASK: 1,
  ROUTER: 3,
  RESOLVER: 6,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  MESSAGE_TYPE: 53,
  SERVER: 54,
  END: 255,
} as const;

const MESSAGE = { DISCOVER: 1, OFFER: 2, REQUEST: 3, ACK: 5, NAK: 6, INFORM: 8 } as const;

/** Seconds: a day. */
const LEASE_TIME = 86_400;

export interface DhcpNetwork {
  /** Server and router. */
  readonly server: Ipv4Address;
  readonly prefix: number;
  /** What the client gets. */
  readonly client: Ipv4Address;
  /** Who answers DNS, if anybody does. */
  readonly resolver?: Ipv4Address;
}

export interface DhcpReply {
  /** Undefined: to everybody. */
  readonly mac: MacAddress | undefined;
  /** Undefined: to the address that everybody has. */
  readonly address: Ipv4Address | undefined;
  readonly message: Uint8Array;
}

interface Request {
  readonly view: DataView;
  readonly mac: MacAddress;
  readonly clientAddress: Ipv4Address;
  readonly broadcast: boolean;
  /** Undefined: BOOTP. */
  readonly type: number | undefined;
  readonly requested: Ipv4Address | undefined;
  readonly server: Ipv4Address | undefined;
}

/** @returns `undefined` when there is nothing to say to it */
export function answerDhcp(message: Uint8Array, network: DhcpNetwork): DhcpReply | undefined {
  const request = parse(message);
  if (request === undefined) return undefined;
  switch (request.type) {
    case undefined:
      return reply(request, network, undefined);
    case MESSAGE.DISCOVER:
      return reply(request, network, MESSAGE.OFFER);
    case MESSAGE.REQUEST: {
      if (request.server !== undefined && request.server !== network.server) return undefined;
      const wanted = request.requested ?? request.clientAddress;
      return reply(request, network, wanted === network.client ? MESSAGE.ACK : MESSAGE.NAK);
    }
    case MESSAGE.INFORM:
      return reply(request, network, MESSAGE.ACK);
    default:
      return undefined;
  }
}

function parse(message: Uint8Array): Request | undefined {
  if (message.length < FIXED_LENGTH) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const ethernet = view.getUint8(1) === HARDWARE_ETHERNET && view.getUint8(2) === MAC_LENGTH;
  if (view.getUint8(0) !== BOOT_REQUEST || !ethernet) return undefined;
  const options = readOptions(message, view);
  const address = (code: number): Ipv4Address | undefined => {
    const value = options.get(code);
    if (value?.length !== 4) return undefined;
    return new DataView(value.buffer, value.byteOffset).getUint32(0) as Ipv4Address;
  };
  return {
    view,
    mac: message.slice(AT.CHADDR, AT.CHADDR + MAC_LENGTH),
    clientAddress: view.getUint32(AT.CIADDR) as Ipv4Address,
    broadcast: (view.getUint16(AT.FLAGS) & FLAG_BROADCAST) !== 0,
    type: options.get(OPTION.MESSAGE_TYPE)?.[0],
    requested: address(OPTION.REQUESTED_ADDRESS),
    server: address(OPTION.SERVER),
  };
}

function readOptions(message: Uint8Array, view: DataView): ReadonlyMap<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  if (message.length < OPTIONS_AT || view.getUint32(FIXED_LENGTH) !== MAGIC) return options;
  let at = OPTIONS_AT;
  while (at + 1 < message.length) {
    const code = message[at] ?? OPTION.END;
    if (code === OPTION.END) break;
    if (code === OPTION.PAD) {
      at++;
      continue;
    }
    const length = message[at + 1] ?? 0;
    options.set(code, message.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}

function reply(request: Request, network: DhcpNetwork, type: number | undefined): DhcpReply {
  const { view, mac, clientAddress, broadcast } = request;
  const refused = type === MESSAGE.NAK;
  const message = new Uint8Array(REPLY_LENGTH);
  const out = new DataView(message.buffer);
  message.set([BOOT_REPLY, HARDWARE_ETHERNET, MAC_LENGTH]);
  out.setUint32(AT.TRANSACTION, view.getUint32(AT.TRANSACTION));
  out.setUint16(AT.FLAGS, view.getUint16(AT.FLAGS));
  if (!refused) {
    out.setUint32(AT.CIADDR, clientAddress);
    if (request.type !== MESSAGE.INFORM) out.setUint32(AT.YIADDR, network.client);
    out.setUint32(AT.SIADDR, network.server);
  }
  message.set(new Uint8Array(view.buffer, view.byteOffset + AT.CHADDR, CHADDR_LENGTH), AT.CHADDR);
  out.setUint32(FIXED_LENGTH, MAGIC);
  message.set(writeOptions(request, network, type), OPTIONS_AT);
  if (refused || (broadcast && clientAddress === 0)) {
    return { mac: undefined, address: undefined, message };
  }
  return { mac, address: clientAddress === 0 ? network.client : clientAddress, message };
}

function writeOptions(request: Request, network: DhcpNetwork, type: number | undefined): number[] {
  const word = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  const option = (code: number, data: readonly number[]): number[] => [code, data.length, ...data];
  const refused = type === MESSAGE.NAK;
  const leases = type !== undefined && !refused && request.type !== MESSAGE.INFORM;
  return [
    ...(type === undefined ? [] : option(OPTION.MESSAGE_TYPE, [type])),
    ...(type === undefined ? [] : option(OPTION.SERVER, word(network.server))),
    ...(leases ? option(OPTION.LEASE_TIME, word(LEASE_TIME)) : []),
    ...(refused ? [] : option(OPTION.SUBNET_MASK, word(netmask(network.prefix)))),
    ...(refused ? [] : option(OPTION.ROUTER, word(network.server))),
    ...(refused || network.resolver === undefined
      ? []
      : option(OPTION.RESOLVER, word(network.resolver))),
    OPTION.END,
  ];
}
