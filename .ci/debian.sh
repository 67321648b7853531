# Sourced by the fetch-* scripts: Debian packages in a folder of one's own, nothing installed, no root.
#
# `debian_unpack FOLDER SUITE ARCHITECTURE PACKAGE...` loads the packages and all that they depend on
# from the mirror that this machine's apt uses, and unpacks them into FOLDER. With BESIDE_SYSTEM=1
# what this machine has already is left out, and SUITE must be its own. The caller defines
# `fail CODE MESSAGE`, which does not return.

debian_unpack() {
  local folder=$1 suite=$2 architecture=$3 status codename mirror apt package name
  shift 3
  command -v apt-get >/dev/null && [[ $(dpkg --print-architecture) == amd64 ]] ||
    fail 1 "needs a Debian system on x86-64, for its apt-get and its mirror"
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' "Release: $codename" | head -n 1)
  [[ -n $mirror ]] || fail 1 "apt's sources name no mirror of $codename"

  # An apt that knows of nothing but this suite, with folders of its own.
  apt=$folder/.apt
  mkdir -p "$apt"/{lists,archives}/partial
  status=/var/lib/dpkg/status
  if [[ -z ${BESIDE_SYSTEM:-} ]]; then
    status=$apt/status
    : >"$status"
  fi
  cat >"$apt/apt.conf" <<END_OF_CONF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State "$apt";
Dir::State::Status "$status";
Dir::Cache "$apt";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "3";
Quiet "2";
END_OF_CONF
  echo "deb [arch=$architecture signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
    "$mirror $suite main" >"$apt/sources.list"
  APT_CONFIG=$apt/apt.conf apt-get update || fail 1 "cannot read the package lists of $mirror $suite"
  APT_CONFIG=$apt/apt.conf apt-get install --yes --download-only "$@" >"$apt/log" ||
    fail 1 "cannot load the packages from $mirror: see $apt/log"
  for package in "$apt"/archives/*.deb; do
    [[ -e $package ]] || continue # none: this machine has them all
    dpkg-deb --extract "$package" "$folder"
  done
  rm -rf "$apt"

  # Debian merged /lib into /usr/lib, with symbolic links that its packages do not hold; those of
  # older releases still hold files for both.
  for name in lib lib64; do
    if [[ -d $folder/$name && ! -L $folder/$name ]]; then
      mkdir -p "$folder/usr/$name"
      cp -a --link "$folder/$name/." "$folder/usr/$name/"
      rm -r "${folder:?}/$name"
    fi
    if [[ -e $folder/usr/$name && ! -e $folder/$name ]]; then
      ln -s "usr/$name" "$folder/$name"
    fi
  done
}
