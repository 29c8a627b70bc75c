"""The rules of Pod Security `restricted`, over the spec of a pod. test_restricted.py holds them to the examples with
which Kubernetes tests its own.
"""

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
}
SELINUX_TYPES = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}


def containers(spec):
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or []:
            yield container


def handlers(container):
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        yield container.get(probe) or {}
    for hook in ((container.get("lifecycle") or {}).get(when) or {} for when in ("postStart", "preStop")):
        yield hook


def violations(spec, annotations=None):
    """Every rule that the pod breaks, with where."""
    found = []
    pod = spec.get("securityContext") or {}
    # Three rules are about what only Linux has.
    linux = (spec.get("os") or {}).get("name") != "windows"

    def wrong(rule, where):
        found.append(f"{rule}: {where}")

    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            wrong("host namespaces", name)
    for volume in spec.get("volumes") or []:
        if not (set(volume) - {"name"}) <= VOLUMES:
            wrong("volume types", volume["name"])
    for sysctl in pod.get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            wrong("sysctls", sysctl["name"])
    for name, value in (annotations or {}).items():
        if name.startswith("container.apparmor.security.beta.kubernetes.io/"):
            if value not in ("", "runtime/default") and not value.startswith("localhost/"):
                wrong("AppArmor", name)

    # The pod's own, and each container's.
    contexts = [("pod", pod)]
    contexts += [(c["name"], c.get("securityContext") or {}) for c in containers(spec)]
    for where, context in contexts:
        if (context.get("windowsOptions") or {}).get("hostProcess"):
            wrong("host process", where)
        if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
            wrong("AppArmor", where)
        selinux = context.get("seLinuxOptions") or {}
        if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
            wrong("SELinux", where)
        if context.get("runAsUser") == 0:
            wrong("runs as root", where)
        if (context.get("seccompProfile") or {}).get("type", "RuntimeDefault") not in ("RuntimeDefault", "Localhost"):
            wrong("seccomp", where)
        if context.get("runAsNonRoot") is False:
            wrong("may run as root", where)

    for container in containers(spec):
        where, context = container["name"], container.get("securityContext") or {}
        if context.get("privileged"):
            wrong("privileged", where)
        if context.get("procMount", "Default") != "Default":
            wrong("proc mount", where)
        for port in container.get("ports") or []:
            if port.get("hostPort"):
                wrong("host ports", where)
        for handler in handlers(container):
            for kind in ("httpGet", "tcpSocket"):
                if (handler.get(kind) or {}).get("host"):
                    wrong("hosts of probes and hooks", where)
        if linux and context.get("allowPrivilegeEscalation") is not False:
            wrong("privilege escalation", where)
        capabilities = context.get("capabilities") or {}
        if linux and "ALL" not in (capabilities.get("drop") or []):
            wrong("capabilities are not dropped", where)
        if not set(capabilities.get("add") or []) <= {"NET_BIND_SERVICE"}:
            wrong("capabilities are added", where)
        if context.get("runAsNonRoot") is None and pod.get("runAsNonRoot") is not True:
            wrong("may run as root", where)
        if linux and not context.get("seccompProfile") and not pod.get("seccompProfile"):
            wrong("no seccomp", where)
    return found
