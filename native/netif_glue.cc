#include "glue.h"

#include <cerrno>

extern "C" {
#include "netif.h"
}

namespace {

std::string text(const Napi::CallbackInfo &info, size_t index)
{
    return info[index].As<Napi::String>();
}

Napi::Value checked(Napi::Env env, int result, const char *what)
{
    if (result < 0)
        throw_errno(env, result, what);
    return env.Undefined();
}

/* (name): what netif.h says of the interface, or null when there is none. */
Napi::Value query(const Napi::CallbackInfo &info)
{
    Napi::Env env = info.Env();
    struct netif found;
    int result = netif_query(text(info, 0).c_str(), &found);

    if (result == -ENODEV)
        return env.Null();
    if (result < 0)
        return checked(env, result, "reading an interface");
    Napi::Object object = Napi::Object::New(env);
    object.Set("index", found.index);
    object.Set("up", Napi::Boolean::New(env, found.up));
    object.Set("mtu", found.mtu);
    object.Set("mac", Napi::Buffer<uint8_t>::Copy(env, found.mac, sizeof found.mac));
    object.Set("driver", found.driver);
    object.Set("bus", found.bus);
    object.Set("address", found.address);
    object.Set("netmask", found.netmask);
    return object;
}

/* (name, up) */
Napi::Value set_up(const Napi::CallbackInfo &info)
{
    bool up = info[1].As<Napi::Boolean>();
    return checked(info.Env(), netif_set_up(text(info, 0).c_str(), up), "SIOCSIFFLAGS");
}

/* (name, mac: Uint8Array of 6) */
Napi::Value set_mac(const Napi::CallbackInfo &info)
{
    Napi::Uint8Array mac = info[1].As<Napi::Uint8Array>();
    if (mac.ByteLength() != NETIF_MAC_LENGTH)
        return checked(info.Env(), -EINVAL, "SIOCSIFHWADDR");
    return checked(info.Env(), netif_set_mac(text(info, 0).c_str(), mac.Data()), "SIOCSIFHWADDR");
}

/* (name or label): the address, 0 if there is none. */
Napi::Value address_of(const Napi::CallbackInfo &info)
{
    uint32_t address = 0;
    int result = netif_address(text(info, 0).c_str(), &address);

    if (result < 0 && result != -EADDRNOTAVAIL && result != -ENODEV)
        return checked(info.Env(), result, "SIOCGIFADDR");
    return Napi::Number::New(info.Env(), address);
}

/* (name or label, address, netmask) */
Napi::Value set_address(const Napi::CallbackInfo &info)
{
    uint32_t address = info[1].As<Napi::Number>();
    uint32_t netmask = info[2].As<Napi::Number>();
    return checked(info.Env(), netif_set_address(text(info, 0).c_str(), address, netmask),
                   "SIOCSIFADDR");
}

/* (label) */
Napi::Value remove_labelled_address(const Napi::CallbackInfo &info)
{
    return checked(info.Env(), netif_remove_labelled_address(text(info, 0).c_str()),
                   "SIOCSIFFLAGS");
}

/* (): a string, since 64 bits are more than a number holds. */
Napi::Value namespace_id(const Napi::CallbackInfo &info)
{
    uint64_t id = 0;
    int result = netif_namespace(&id);
    if (result < 0)
        return checked(info.Env(), result, "SO_NETNS_COOKIE");
    return Napi::String::New(info.Env(), std::to_string(id));
}

/* (name) */
Napi::Value add_bridge(const Napi::CallbackInfo &info)
{
    return checked(info.Env(), bridge_add(text(info, 0).c_str()), "SIOCBRADDBR");
}

/* (name) */
Napi::Value delete_bridge(const Napi::CallbackInfo &info)
{
    return checked(info.Env(), bridge_delete(text(info, 0).c_str()), "SIOCBRDELBR");
}

/* (bridge, port) */
Napi::Value add_port(const Napi::CallbackInfo &info)
{
    int result = bridge_add_port(text(info, 0).c_str(), text(info, 1).c_str());
    return checked(info.Env(), result, "SIOCBRADDIF");
}

/* (bridge, port) */
Napi::Value remove_port(const Napi::CallbackInfo &info)
{
    int result = bridge_remove_port(text(info, 0).c_str(), text(info, 1).c_str());
    return checked(info.Env(), result, "SIOCBRDELIF");
}

/* (bridge, index of the port): boolean */
Napi::Value has_port(const Napi::CallbackInfo &info)
{
    int result = bridge_has_port(text(info, 0).c_str(), info[1].As<Napi::Number>().Int32Value());
    if (result < 0)
        return checked(info.Env(), result, "BRCTL_GET_PORT_LIST");
    return Napi::Boolean::New(info.Env(), result == 1);
}

} // namespace

void init_netif(Napi::Env env, Napi::Object exports)
{
    Napi::Object netif = Napi::Object::New(env);

    netif.Set("query", Napi::Function::New<query>(env, "query"));
    netif.Set("setUp", Napi::Function::New<set_up>(env, "setUp"));
    netif.Set("setMac", Napi::Function::New<set_mac>(env, "setMac"));
    netif.Set("address", Napi::Function::New<address_of>(env, "address"));
    netif.Set("setAddress", Napi::Function::New<set_address>(env, "setAddress"));
    netif.Set("removeLabelledAddress",
              Napi::Function::New<remove_labelled_address>(env, "removeLabelledAddress"));
    netif.Set("namespace", Napi::Function::New<namespace_id>(env, "namespace"));
    netif.Set("addBridge", Napi::Function::New<add_bridge>(env, "addBridge"));
    netif.Set("deleteBridge", Napi::Function::New<delete_bridge>(env, "deleteBridge"));
    netif.Set("addPort", Napi::Function::New<add_port>(env, "addPort"));
    netif.Set("removePort", Napi::Function::New<remove_port>(env, "removePort"));
    netif.Set("hasPort", Napi::Function::New<has_port>(env, "hasPort"));
    exports.Set("netif", netif);
}
