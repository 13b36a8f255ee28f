# longhaul_units(SOURCES): the list named SOURCES with neighbours of a folder joined, a few at
# a time, into a generated file that includes them. What they have in common, headers and instances of
# templates, is compiled once, and that is about half of all. A file with options or definitions
# of its own stays alone.
#
# Where a unit ends is told by the name of the file that begins the next one, so that one file more or
# less changes one unit and not all behind it. Names in anonymous namespaces meet in a unit: the
# compiler says where. Only builds with LONGHAUL_UNITS join files; in others each stands for itself,
# which is quicker after a change to one, and finds an include that is missing.
function(longhaul_units sources)
  if(NOT LONGHAUL_UNITS)
    return()
  endif()
  set(result)
  set(unit)
  set(unit_folder)
  set(files ${${sources}})
  list(SORT files)
  foreach(file IN LISTS files)
    get_source_file_property(options ${file} COMPILE_OPTIONS)
    get_source_file_property(definitions ${file} COMPILE_DEFINITIONS)
    if(options OR definitions)
      list(APPEND result ${file})
      continue()
    endif()
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${file})
    cmake_path(GET name PARENT_PATH folder)
    string(MD5 hash ${name})
    list(LENGTH unit length)
    if(NOT folder STREQUAL unit_folder OR length EQUAL 12 OR (length GREATER 5 AND hash MATCHES "^[0-3]"))
      longhaul_unit(result ${unit})
      set(unit)
      set(unit_folder ${folder})
    endif()
    list(APPEND unit ${name})
  endforeach()
  longhaul_unit(result ${unit})
  set(${sources} ${result} PARENT_SCOPE)
endfunction()

# Appends the one file, or what includes all of them.
function(longhaul_unit list) # NAME...
  list(LENGTH ARGN length)
  if(length EQUAL 1)
    set(${list} ${${list}} ${PROJECT_SOURCE_DIR}/${ARGN} PARENT_SCOPE)
  elseif(length GREATER 1)
    list(GET ARGN 0 first)
    set(LONGHAUL_UNIT_INCLUDES)
    foreach(name IN LISTS ARGN)
      string(REGEX REPLACE "^src/" "" name ${name})
      string(APPEND LONGHAUL_UNIT_INCLUDES "#include \"${name}\"\n")
    endforeach()
    # Written only where it has changed.
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/units/${first} CONTENT "${LONGHAUL_UNIT_INCLUDES}" @ONLY)
    set(${list} ${${list}} ${PROJECT_BINARY_DIR}/units/${first} PARENT_SCOPE)
  endif()
endfunction()
