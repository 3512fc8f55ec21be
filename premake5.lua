-- What a Kit SDK build reads. Put the project where kit-app-template's tools can find it (see README.md), then
-- `./repo.sh build` of those tools runs this file and links everything into _build/<platform>/<config>.

-- Shared build scripts of repo_build.
repo_build = require("omni/repo/build")

root = repo_build.get_abs_path(".")

-- Workspace, platforms, extension and app functions of the Kit template.
kit = require("_repo/deps/repo_kit_tools/kit-template/premake5-kit")
kit.setup_all({ cppdialect = "C++17" })

-- The template looks in source/extensions; ours are in exts.
for _, folder in ipairs(os.matchdirs(root.."/exts/*")) do
    if os.isfile(folder.."/premake5.lua") then
        include(folder)
    end
end

-- App files beside the extensions, as ${app}/../exts expects, and the packs, parameters and models they open.
repo_build.prebuild_link {
    { root.."/app", bin_dir.."/apps" },
    { root.."/data", bin_dir.."/data" },
}

define_app("celltwin.headless.kit")
define_app("celltwin.desk.kit")
define_app("celltwin.editor.kit")
