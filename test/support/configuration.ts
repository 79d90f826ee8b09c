/**
 * What `ip address` prints, without what the kernel changes in its own time after somebody changed
 * something: the operational state (RFC 2863), carrier, and whether an IPv6 address is still tried.
 */
export const configuration = (text: string): string =>
  text
    .replace(/<[^>]*>| state \w+| qdisc \w+| tentative/g, "")
    .replace(/^(\S+ +)(UP|DOWN|UNKNOWN|LOWERLAYERDOWN) +/gm, "$1");
