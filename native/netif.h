/*
 * Network interfaces and bridges by ioctl, so that neither ip(8) nor brctl(8) is needed. Mechanism
 * only: what is made, kept or undone is decided in TypeScript.
 *
 * Functions return 0 (or a value >= 0) or a negative errno. IPv4 addresses are in host byte order.
 */
#ifndef SOLO5_KVM_NETIF_H
#define SOLO5_KVM_NETIF_H

#include <stdint.h>

#define NETIF_MAC_LENGTH 6
#define NETIF_DRIVER_LENGTH 32

struct netif {
    int index;
    int up;
    int mtu;
    uint8_t mac[NETIF_MAC_LENGTH];
    /* As ethtool names it: "bridge", "tun", ... or empty. A tap's is "tun" with bus "tap". */
    char driver[NETIF_DRIVER_LENGTH];
    char bus[NETIF_DRIVER_LENGTH];
    /* The first address; 0 if there is none. */
    uint32_t address;
    uint32_t netmask;
};

/* -ENODEV when there is no such interface. */
int netif_query(const char *name, struct netif *found);

int netif_mtu(const char *name);
int netif_set_up(const char *name, int up);
/* Only while the interface is down. */
int netif_set_mac(const char *name, const uint8_t *mac);

/*
 * `name` may be an address label, "interface:label": then the address is one more of that interface,
 * and the label finds it again.
 */
int netif_address(const char *name, uint32_t *address);
int netif_set_address(const char *name, uint32_t address, uint32_t netmask);
int netif_remove_labelled_address(const char *label);

/*
 * What tells this network namespace from all others, while the machine runs: its cookie, or on kernels
 * before 5.14 its inode, which may be used again.
 */
int netif_namespace(uint64_t *id);

int bridge_add(const char *name);
/* Only while the bridge is down. Its ports are released. */
int bridge_delete(const char *name);
int bridge_add_port(const char *bridge, const char *port);
int bridge_remove_port(const char *bridge, const char *port);
/* 1 if the interface of index `port` belongs to the bridge. Only for interfaces of driver "bridge". */
int bridge_has_port(const char *bridge, int port);

#endif
