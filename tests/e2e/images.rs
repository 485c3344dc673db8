//! The images of the containers: made from files of this machine, so that nothing is pulled.

use crate::sandbox::Sandbox;

/// An image with busybox and clients that are linked with musl.
pub const BUSYBOX: &str = "busybox:e2e";

/// An image with glibc, its `getent`, and the same clients linked with it; busybox is there to keep it running.
pub const GLIBC: &str = "glibc:e2e";

/// Makes the trees of both images, to be imported as `docker import` takes them: a tar of `images/NAME`.
pub fn make(sandbox: &Sandbox) {
    sandbox.needs(&["busybox"], "busybox-static");
    sandbox.needs(&["musl-gcc"], "musl-tools");
    sandbox.needs(&["cc"], "gcc");
    sandbox.needs(&["getent", "ldd"], "libc-bin");
    sandbox.write("lookup.c", include_str!("lookup.c"));
    sandbox.write("query.c", include_str!("query.c"));
    sandbox.run(TREES);
}

/// The libraries of glibc's tree: those of its programs, and those that it loads itself to look names up.
const TREES: &str = r#"
set -e
for image in busybox glibc; do
    mkdir -p images/$image/bin images/$image/etc images/$image/www images/$image/tmp
    cp "$(command -v busybox)" images/$image/bin/busybox
    for applet in sh sleep cat env httpd wget nslookup killall; do ln -s busybox images/$image/bin/$applet; done
done
for program in lookup query; do
    musl-gcc -static -o images/busybox/bin/$program $program.c
    cc -o images/glibc/bin/$program $program.c -lresolv
done
getent=$(command -v getent)
cp -L "$getent" images/glibc/bin/getent
libraries=$(ldd "$getent" | grep -o '/[^ ]*')
folder=$(dirname "$(echo "$libraries" | grep '/libc\.')")
for library in $libraries "$folder"/libnss_files.so.2 "$folder"/libnss_dns.so.2 "$folder"/libresolv.so.2; do
    cp -L --parents "$library" images/glibc
done
echo 'hosts: files dns' >images/glibc/etc/nsswitch.conf
"#;
