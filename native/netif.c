#include "netif.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_bridge.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* The kernel's limit (BR_MAX_PORTS). */
#define MAX_BRIDGE_PORTS 1024

/* Interface ioctls are made on any socket at all. */
static int control(unsigned long request, void *argument)
{
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result;

    if (descriptor < 0)
        return -errno;
    result = ioctl(descriptor, request, argument);
    if (result < 0)
        result = -errno;
    close(descriptor);
    return result;
}

static int name_request(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof *request);
    if (strlen(name) >= IFNAMSIZ)
        return -ENAMETOOLONG;
    strcpy(request->ifr_name, name);
    return 0;
}

/* Asks for one property of the interface. */
static int get(unsigned long which, const char *name, struct ifreq *request)
{
    int result = name_request(request, name);

    return result < 0 ? result : control(which, request);
}

static int get_address(unsigned long which, const char *name, uint32_t *address)
{
    struct ifreq request;
    int result = get(which, name, &request);

    *address = 0;
    if (result == 0)
        *address = ntohl(((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr);
    return result;
}

static int set_address(unsigned long which, const char *name, uint32_t address)
{
    struct ifreq request;
    struct sockaddr_in *socket_address = (struct sockaddr_in *)&request.ifr_addr;
    int result = name_request(&request, name);

    if (result < 0)
        return result;
    socket_address->sin_family = AF_INET;
    socket_address->sin_addr.s_addr = htonl(address);
    return control(which, &request);
}

static void query_driver(const char *name, struct netif *found)
{
    struct ethtool_drvinfo info;
    struct ifreq request;

    memset(&info, 0, sizeof info);
    info.cmd = ETHTOOL_GDRVINFO;
    if (name_request(&request, name) < 0)
        return;
    request.ifr_data = (char *)&info;
    /* Drivers need not answer: then both names stay empty. */
    if (control(SIOCETHTOOL, &request) < 0)
        return;
    memcpy(found->driver, info.driver, sizeof found->driver - 1);
    memcpy(found->bus, info.bus_info, sizeof found->bus - 1);
}

int netif_query(const char *name, struct netif *found)
{
    struct ifreq request;
    int result;

    memset(found, 0, sizeof *found);
    result = get(SIOCGIFINDEX, name, &request);
    if (result < 0)
        return result;
    found->index = request.ifr_ifindex;
    result = get(SIOCGIFFLAGS, name, &request);
    if (result < 0)
        return result;
    found->up = (request.ifr_flags & IFF_UP) != 0;
    result = get(SIOCGIFHWADDR, name, &request);
    if (result < 0)
        return result;
    memcpy(found->mac, request.ifr_hwaddr.sa_data, NETIF_MAC_LENGTH);
    found->mtu = netif_mtu(name);
    if (found->mtu < 0)
        return found->mtu;
    query_driver(name, found);
    /* Having no address is no failure. */
    if (netif_address(name, &found->address) == 0)
        get_address(SIOCGIFNETMASK, name, &found->netmask);
    return 0;
}

int netif_mtu(const char *name)
{
    struct ifreq request;
    int result = get(SIOCGIFMTU, name, &request);

    return result < 0 ? result : request.ifr_mtu;
}

int netif_set_up(const char *name, int up)
{
    struct ifreq request;
    int result = get(SIOCGIFFLAGS, name, &request);

    if (result < 0)
        return result;
    if (up)
        request.ifr_flags |= IFF_UP;
    else
        request.ifr_flags &= ~IFF_UP;
    return control(SIOCSIFFLAGS, &request);
}

int netif_set_mac(const char *name, const uint8_t *mac)
{
    struct ifreq request;
    int result = name_request(&request, name);

    if (result < 0)
        return result;
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, mac, NETIF_MAC_LENGTH);
    return control(SIOCSIFHWADDR, &request);
}

int netif_address(const char *name, uint32_t *address)
{
    return get_address(SIOCGIFADDR, name, address);
}

int netif_set_address(const char *name, uint32_t address, uint32_t netmask)
{
    int result = set_address(SIOCSIFADDR, name, address);

    return result < 0 ? result : set_address(SIOCSIFNETMASK, name, netmask);
}

int netif_remove_labelled_address(const char *label)
{
    struct ifreq request;
    int result = name_request(&request, label);

    /* Taking a label down takes its address away, and nothing else. */
    return result < 0 ? result : control(SIOCSIFFLAGS, &request);
}

int netif_namespace(uint64_t *id)
{
    socklen_t size = sizeof *id;
    struct stat namespace;
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result;

    if (descriptor < 0)
        return -errno;
    result = getsockopt(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, id, &size);
    close(descriptor);
    if (result == 0)
        return 0;
    if (stat("/proc/self/ns/net", &namespace) < 0)
        return -errno;
    *id = namespace.st_ino;
    return 0;
}

int bridge_add(const char *name)
{
    struct ifreq request;
    int result = name_request(&request, name);

    return result < 0 ? result : control(SIOCBRADDBR, request.ifr_name);
}

int bridge_delete(const char *name)
{
    struct ifreq request;
    int result = name_request(&request, name);

    return result < 0 ? result : control(SIOCBRDELBR, request.ifr_name);
}

static int change_port(unsigned long which, const char *bridge, const char *port)
{
    struct ifreq request;
    int result = get(SIOCGIFINDEX, port, &request);
    int index = request.ifr_ifindex;

    if (result < 0)
        return result;
    result = name_request(&request, bridge);
    if (result < 0)
        return result;
    request.ifr_ifindex = index;
    return control(which, &request);
}

int bridge_add_port(const char *bridge, const char *port)
{
    return change_port(SIOCBRADDIF, bridge, port);
}

int bridge_remove_port(const char *bridge, const char *port)
{
    return change_port(SIOCBRDELIF, bridge, port);
}

int bridge_has_port(const char *bridge, int port)
{
    int ports[MAX_BRIDGE_PORTS] = {0};
    unsigned long arguments[4] = {BRCTL_GET_PORT_LIST, (unsigned long)ports, MAX_BRIDGE_PORTS, 0};
    struct ifreq request;
    int result = name_request(&request, bridge);

    if (result < 0)
        return result;
    request.ifr_data = (char *)arguments;
    result = control(SIOCDEVPRIVATE, &request);
    if (result < 0)
        return result;
    for (int i = 0; i < MAX_BRIDGE_PORTS; i++)
        if (ports[i] == port)
            return 1;
    return 0;
}
