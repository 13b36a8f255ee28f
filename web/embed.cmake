# The dashboard: built by web/build (Vite, with a Node of its own) and compiled in by embed.py. What
# the build reads is listed, so it is built anew only when that has changed.

find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(web ${PROJECT_SOURCE_DIR}/web)
set(embedded ${CMAKE_BINARY_DIR}/web/embedded_files.cc)
set(dist ${CMAKE_BINARY_DIR}/web/dist)
if(LONGHAUL_WEB)
  file(GLOB_RECURSE web_sources CONFIGURE_DEPENDS ${web}/src/*
       ${web}/public/*)
  foreach(name build index.html package.json package-lock.json tsconfig.json vite.config.ts .npmrc)
    list(APPEND web_sources ${web}/${name})
  endforeach()
  add_custom_command(
    OUTPUT ${embedded}
    COMMAND ${web}/build ${dist}
    COMMAND Python3::Interpreter ${web}/embed.py ${dist} ${embedded}
    DEPENDS ${web_sources} ${web}/embed.py
    COMMENT "Building the dashboard" VERBATIM)
else()
  add_custom_command(
    OUTPUT ${embedded}
    COMMAND Python3::Interpreter ${web}/embed.py none ${embedded}
    DEPENDS ${web}/embed.py
    COMMENT "Without the dashboard" VERBATIM)
endif()
target_sources(longhaul_core PRIVATE ${embedded})
