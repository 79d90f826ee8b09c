{
  "targets": [
    {
      "target_name": "solo5_kvm",
      "sources": [
        "native/addon.cc",
        "native/kvm.c",
        "native/kvm_glue.cc",
        "native/watcher.c",
        "native/tap.c",
        "native/tap_writer.c",
        "native/tap_glue.cc",
        "native/readable.cc",
        "native/socket.c",
        "native/socket_glue.cc",
        "native/netif.c",
        "native/netif_glue.cc",
        "native/lock_glue.cc",
        "native/wait_glue.cc",
        "native/pages.c",
        "native/pages_glue.cc"
      ],
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # Nothing can be thrown in a thread that is being ended: without the fourth that is fatal.
      "defines": [
        "NAPI_VERSION=8",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "_GNU_SOURCE",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags": ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"],
      "cflags_c": ["-std=gnu11"],
      "cflags_cc": ["-std=gnu++17"],
      "libraries": ["-lpthread", "-lrt"]
    }
  ]
}
